terraform {
  required_providers {
    muster = {
      source = "muster.fleet/muster/muster"
    }
  }
}

provider "muster" {
  fleet = "acme"
  sites = {
    lab = {
      platform   = "libvirt"
      uri        = "qemu:///system"
      pool       = "default"
      repository = "./backups"
    }
  }
  packs    = ["muster/baseline"]
  severity = "high"
}
