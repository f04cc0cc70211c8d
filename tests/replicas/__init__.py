"""Several real replicas of the service on one PostgreSQL, disturbed at random, judged by a model of their traces."""
