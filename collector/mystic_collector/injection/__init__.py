"""Puts the agent into pods that ask for it by an annotation: a mutating admission webhook of Kubernetes.

Law: a pod is never kept from starting. What cannot be done is left undone and said in a warning; what is added fits
the restricted Pod Security level and takes nothing away.
"""
