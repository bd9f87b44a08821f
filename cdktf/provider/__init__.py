"""The Terraform provider ``muster``: a bridge from protocol 6 to the operations that Ansible uses too."""
