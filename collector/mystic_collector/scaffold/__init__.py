"""The files a project gets so that its containers run beside Mystic.

Law: what is written is the project's own: nothing that is there is changed without being asked, and nothing here is
needed at run time.
"""
