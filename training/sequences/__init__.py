"""What several kinds of model need of sequences: attention in all its forms, dropout, the Transformer's encoder."""
