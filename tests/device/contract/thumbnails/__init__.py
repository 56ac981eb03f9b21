"""What `device.contract.look` promises."""
