"""The reference data plane of Signalbox."""
