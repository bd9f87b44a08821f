output "seconds" {
  value = provider::muster::seconds("1d 12h") # 129600
}
