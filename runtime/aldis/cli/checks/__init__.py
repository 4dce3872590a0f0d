"""What `aldis doctor` looks at: one small function a check, which answers with findings and changes nothing.

A finding says what is so and, when that is not well, what to do about it. No finding holds a secret or a content.
`doctor` decides which checks can be made and shows what they found.
"""
