"""What runs inside a VM: the facts that rules need and the settings that fix them. Standard library only.

`facts.gather` answers in one round trip; `settings.plan` says what a settings document would change and
`apply.apply` executes exactly that plan, with a deadman around all that could lock the management user out.
"""
