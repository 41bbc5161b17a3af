"""What needs no network: which words occur, weighed by logistic regression."""

from __future__ import annotations

import numpy as np

from training.text_classifier.data import TextData

_WORDS = r"(?u)\w+|[^\w\s]"  # marks of punctuation are words too: a question has one
_MOST_WORDS = 50_000


def predict_by_words(data: TextData) -> np.ndarray:
    """The label int64 [N] of each test text by a bag of words, weighed by how rare they are.

    Source: Manning, Raghavan, Schütze 2008, Introduction to Information Retrieval, sections 6.4.1 and 14.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes a second
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(token_pattern=_WORDS, sublinear_tf=True, max_features=_MOST_WORDS)
    model = LogisticRegression(max_iter=2000)
    model.fit(words.fit_transform(data.train.texts), data.train.labels.numpy())
    labels: np.ndarray = model.predict(words.transform(data.test.texts))
    return labels
