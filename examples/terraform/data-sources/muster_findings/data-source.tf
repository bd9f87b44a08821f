data "muster_findings" "lab" {
  severity = "medium"
}

output "findings" {
  value = [for finding in data.muster_findings.lab.findings : "${finding.vm}: ${finding.sentence}"]
}
