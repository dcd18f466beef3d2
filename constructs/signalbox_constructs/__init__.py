"""Reusable AWS CDK constructs of the Signalbox control plane."""
