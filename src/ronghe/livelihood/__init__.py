"""The livelihood marts: passenger flow and social security, counted through the gate."""
