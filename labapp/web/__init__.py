"""What all HTTP answers share: errors, middlewares, shapes, and the documents made from the shapes."""
