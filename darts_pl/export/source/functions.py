"""The functions around a network: loading its weights, preparing what it reads, and the command."""

from __future__ import annotations

from darts_pl.data.text.words import PUNCTUATION, UNKNOWN
from darts_pl.inference import ImageClassifier, TextModel

_LOAD = '''\
def load(file: str | Path = FILE) -> Network:
    """The trained network, in evaluation mode."""
    network = Network()
    network.load_state_dict(torch.load(file, weights_only=True)["weights"])
    return network.eval()
'''

_PROBABILITIES = '''\
@torch.no_grad()
def probabilities(network: Network, images: Tensor) -> Tensor:
    """Of every class [N, classes], of images uint8 [N, HEIGHT, WIDTH, CHANNELS]."""
    pixels = images.float() / 255
    normalised = (pixels - torch.tensor(MEAN)) / torch.tensor(STD)
    return network(normalised.permute(0, 3, 1, 2)).softmax(dim=1)
'''

_OPEN = '''\
def read_photo(file: str | Path) -> Tensor:
    """The centre of a photo as an image uint8 [1, HEIGHT, WIDTH, CHANNELS]."""
    photo = ImageOps.exif_transpose(Image.open(file))
    if photo.has_transparency_data:
        photo = photo.convert("RGBA")
        white = Image.new("RGBA", photo.size, "white")
        photo = Image.alpha_composite(white, photo)
    photo = photo.convert("RGB")
'''

_RESIZE = """\
    shorter = min(photo.size)
    size = [int(RESIZE * side / shorter) for side in photo.size]
    photo = photo.resize(size, Image.Resampling.BILINEAR)
"""

_COVER = """\
    scale = max(WIDTH / photo.width, HEIGHT / photo.height)
    size = [
        max(round(photo.width * scale), WIDTH),
        max(round(photo.height * scale), HEIGHT),
    ]
    if photo.size != (WIDTH, HEIGHT):
        photo = photo.resize(size, Image.Resampling.BILINEAR)
"""

_CROP = """\
    left, top = round((photo.width - WIDTH) / 2), round((photo.height - HEIGHT) / 2)
    photo = photo.crop((left, top, left + WIDTH, top + HEIGHT))
"""

_GREY = '    photo = photo.convert("L")\n'

_PIXELS = """\
    pixels = torch.frombuffer(bytearray(photo.tobytes()), dtype=torch.uint8)
    return pixels.view(1, HEIGHT, WIDTH, CHANNELS)
"""

_MAIN = '''\
def main(files: list[str]) -> None:
    """Print the most probable classes of photos."""
    network = load()
    for file in files:
        print(file)
        found = probabilities(network, read_photo(file))[0]
        for number in found.argsort(descending=True)[:5].tolist():
            print(f"  {found[number]:.4f}  {NAME}")


if __name__ == "__main__":
    main(sys.argv[1:])
'''

_NEXT_WORDS = '''\
def load_words(file: str | Path = FILE) -> list[str]:
    """Every word, by its number."""
    return torch.load(file, weights_only=True)["words"]


@torch.no_grad()
def next_words(network: Network, words: list[str], text: str) -> dict[str, float]:
    """The five most probable words after a text, with their probabilities."""
    numbers = {word: number for number, word in enumerate(words)}
    hidden = torch.zeros(1, network.words.embedding_dim)
    logits = torch.zeros(1, len(words))
    for word in SPLIT:
        number = NUMBER
        if number is not None:
            logits, hidden = network(torch.tensor([number]), hidden)
    found = logits[0].softmax(dim=0)
    best = found.argsort(descending=True)[:5].tolist()
    return {words[number]: found[number].item() for number in best}


def main(text: str) -> None:
    """Print the most probable words after a text."""
    for word, probability in next_words(load(), load_words(), text).items():
        print(f"  {probability:.4f}  {word}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
'''


def image_functions(model: ImageClassifier) -> str:
    """Loading; and where the preprocessing is known, probabilities of uint8 images, reading a photo, the command."""
    parts = [_LOAD]
    if model.missing:
        return "\n\n".join(parts)
    parts.append(_PROBABILITIES)
    image = model.input
    if image.channels in (1, 3):
        grey = _GREY if image.channels == 1 else ""
        parts.append(_OPEN + (_RESIZE if image.photos else _COVER) + _CROP + grey + _PIXELS)
        parts.append(_MAIN.replace("{NAME}", "{CLASS_NAMES[number]}" if model.class_names is not None else "{number}"))
    return "\n\n".join(parts)


def text_functions(model: TextModel) -> str:
    """Loading, the words, the likely next words, and the command."""
    if model.missing:
        return _LOAD
    split = "text.split()"
    if model.input.splitting == PUNCTUATION:
        split = 're.findall(r"\\w+|[^\\w\\s]", text.lower())'
    number = f'numbers.get(word, numbers["{UNKNOWN}"])' if UNKNOWN in model.words else "numbers.get(word)"
    return f"{_LOAD}\n\n{_NEXT_WORDS.replace('SPLIT', split).replace('NUMBER', number)}"
