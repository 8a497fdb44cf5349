"""What an author's files begin with in a new project; the rest of it is copied."""
