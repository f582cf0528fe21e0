"""The process beside the collector that runs MCP servers as pods: it talks to Kubernetes, and does nothing else.

Law: what there is, the cluster knows. Every pod carries our labels and the spec it was made from, so that a process
that comes later finds all of them, and no right on secrets is needed: a pod names them, and the kubelet reads them.
"""
