"""The matting network as a service: an HTTP API, and a page for people; what ``sdnet-pl serve`` runs."""
