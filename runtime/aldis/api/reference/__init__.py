"""The two descriptions as pages for people: whole HTML without scripts, made from the documents themselves."""
