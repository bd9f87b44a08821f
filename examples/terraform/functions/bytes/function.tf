output "bytes" {
  value = provider::muster::bytes("2 GiB") # 2147483648
}
