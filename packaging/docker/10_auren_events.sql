-- The image's entry point runs this in the database of POSTGRES_DB when it makes the cluster.
CREATE EXTENSION auren_events;
