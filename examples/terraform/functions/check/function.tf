variable "vm" {
  type    = any
  default = { name = "web", cpus = 2, memory = "2 GiB", disks = [{ size = "10 GiB" }], tags = { owner = "shop" } }
}

output "findings" {
  value = [for finding in provider::muster::check(var.vm, "muster/baseline") : finding.sentence]
}
