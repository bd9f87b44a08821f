resource "muster_vm" "db" {
  name   = "db"
  cpus   = 2
  memory = "4 GiB"
  disks  = [{ size = "20 GiB" }, { name = "data", size = "100 GiB" }]
  nics   = [{ network = "user" }]
  tags   = { owner = "shop", environment = "production", cost_center = "4711" }
  protection = {
    rpo      = "24h"
    rto      = "15m"
    keep     = { daily = 7, weekly = 4 }
    deletion = true
  }
}
