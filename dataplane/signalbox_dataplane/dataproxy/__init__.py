"""The dataproxy: where SDK and browser reach payloads. None of them passes the control plane."""
