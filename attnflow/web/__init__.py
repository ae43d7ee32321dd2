"""The page and the published endpoints: the only part of attnflow that knows Gradio."""
