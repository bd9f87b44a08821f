data "muster_vm" "web" {
  name = "web"
}

output "address" {
  value = data.muster_vm.web.address
}
