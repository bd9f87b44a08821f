variable "names" { type = set(string) }
variable "target" { type = string }
resource "terraform_data" "each" {
  for_each = var.names
  input    = { name = each.key, of = var.target }
}
output "ids" { value = [for each in terraform_data.each : each.id] }
