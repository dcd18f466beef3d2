"""The Signalbox control plane: directs every workflow, carries none of the data."""
