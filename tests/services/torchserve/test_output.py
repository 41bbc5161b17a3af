import asyncio

from services.torchserve.output import read_lines


async def lines_of(*chunks, **options):
    stream = asyncio.StreamReader()
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return [line async for line in read_lines(stream, **options)]


async def test_a_line_of_any_length_neither_ends_the_reading_nor_grows_without_bound():
    assert await lines_of(b"first\n", b"x" * 300_000, b"y\nlast\n", longest_bytes=100) == ["first", "x" * 100, "last"]


async def test_lines_come_in_pieces_and_the_last_without_an_end():
    assert await lines_of(b"on", b"e\n\ntw", b"o\xff") == ["one", "", "two\ufffd"]
