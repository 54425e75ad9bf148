"""The livelihood marts: flows, accounts and pupils counted through the gate, and figures about networks."""
