from training.seq2seq.samples import NUM_SAMPLES, format_samples


def test_the_first_texts_stand_beside_what_was_written_of_them():
    texts = [f"text {number} | more" for number in range(50)]
    lines = format_samples(texts, [text[:6] for text in texts], ["reference"] * 50).splitlines()
    assert len(lines) == 2 + NUM_SAMPLES
    assert lines[2] == "| text 0 &#124; more | text 0 | reference |"
