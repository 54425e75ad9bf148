"""What a doctor looks at: the machine, the lake, the releases. Nothing is changed, and no engine is needed."""
