data "muster_vms" "lab" {
  site = "lab"
}

output "memory" {
  value = { for vm in data.muster_vms.lab.vms : vm.name => provider::muster::bytes(vm.memory) }
}
