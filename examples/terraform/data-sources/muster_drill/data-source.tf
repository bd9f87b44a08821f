data "muster_drill" "web" {
  vm = "web"
}

# Nothing is released while nobody knows that the VM comes back.
check "recovery" {
  assert {
    condition     = data.muster_drill.web.outcome == "passed"
    error_message = "The last recovery drill of web: ${data.muster_drill.web.outcome}."
  }
}
