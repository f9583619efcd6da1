"""Where the device's signing keys are made and kept: files, a PKCS#11 token or a TPM, behind one port."""
