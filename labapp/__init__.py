"""A hands-on event-streaming lab: one Faust app that shows where an event's time goes, and that none is lost."""
