"""What prepares a machine for Muster: packages, the guest image, the libvirt daemon. Standard library only."""
