"""The Debian 12 guest image: built from Debian packages without root mounts, or taken from a path or URL."""
