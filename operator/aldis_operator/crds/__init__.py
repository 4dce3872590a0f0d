"""The custom resource definitions and their reference page, generated from the models.

`python -m aldis_operator.crds messagingclusters > crds/messagingclusters.yaml`, `… channels > crds/channels.yaml` and
`… reference > docs/custom-resources.md` write what is in the repository; a test says that it is the same.
"""
