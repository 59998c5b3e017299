"""What the tasks share: their context, running them, recording runs, finding what earlier runs left."""
