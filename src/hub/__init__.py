"""What goes to the Hugging Face Hub: the bundle of files for each repository."""
