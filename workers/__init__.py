"""What an operator edits and deploys: which graphs are served, and how workers are set up."""
