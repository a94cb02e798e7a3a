"""What `copilot-gateway doctor` looks at: one thing a check, one line a finding, each failure with its remedy."""
