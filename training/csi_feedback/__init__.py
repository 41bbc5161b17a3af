"""CSI feedback: channels as short codewords, from the user equipment to the base station."""
