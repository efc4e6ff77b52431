"""The contracts of all events, one module per topic. `libs.events.topics` joins them to their topics."""
