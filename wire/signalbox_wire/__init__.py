"""What the control plane and a data plane share: the link protocol and Connect endpoints from descriptors."""
