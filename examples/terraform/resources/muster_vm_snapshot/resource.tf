resource "muster_vm" "web" {
  name       = "web"
  cpus       = 1
  memory     = "2 GiB"
  disks      = [{ size = "10 GiB" }]
  tags       = { owner = "shop", environment = "production", cost_center = "4711" }
  protection = { rpo = "24h", rto = "15m", keep = { daily = 7 } }
}

resource "muster_vm_snapshot" "before_the_upgrade" {
  vm          = muster_vm.web.name
  name        = "before-the-upgrade"
  description = "before version 2 of the shop"
}
