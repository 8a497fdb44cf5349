"""The experiment itself: pretrain, dataset, train, evaluate. The only package that needs torch."""
