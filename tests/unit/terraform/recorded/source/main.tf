variable "password" {
  type      = string
  sensitive = true
  default   = "hunter2-hunter2"
}
resource "terraform_data" "plain" {
  count = 3
  input = { number = count.index, password = var.password }
}
module "inner" {
  source = "./mod"
  count  = 2
  names  = ["a.b", "c\"d"]
  target = terraform_data.plain[count.index].id
}
resource "terraform_data" "last" {
  triggers_replace = module.inner[0].ids
}
output "ids" { value = module.inner[*].ids }
