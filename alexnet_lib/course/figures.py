"""A figure in a notebook: its picture, its caption, its alternative text for the blind."""

import html

from alexnet_lib.errors import UserError


def show(figure, caption: str, alt: str = "") -> None:
    """Show a matplotlib figure with its caption below it, and close the figure.

    caption: one or two plain sentences, what to notice; no Markdown. alt: the picture in words,
    for readers who cannot see it; a plotting function may leave it in `figure.alt` instead. Both
    are compared by nbval, so neither holds a live number.
    """
    import matplotlib.pyplot as plt
    from IPython.core.pylabtools import print_figure
    from IPython.display import display
    alt = alt or getattr(figure, "alt", "")
    for name, words in (("caption", caption), ("alt", alt)):
        if not words.strip():
            raise UserError(f"a figure needs a {name}: course.show(figure, caption=..., alt=...)")
    picture = print_figure(figure, "png", base64=True)
    plt.close(figure)
    display({"image/png": picture, "text/plain": alt}, raw=True,
            metadata={"image/png": {"alt": alt}, "caption": caption})
    # JupyterLab and Colab draw the picture without its alternative text: the label carries it.
    display({"text/html": f'<figure aria-label="{html.escape(alt)}" style="margin: 0 0 1em">'
                          f"<figcaption>{html.escape(caption)}</figcaption></figure>",
             "text/plain": caption}, raw=True)
