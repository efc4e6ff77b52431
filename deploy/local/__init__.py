"""The whole of Otklik on one machine: PostgreSQL, Kafka, mail and the services, each as a child process."""
