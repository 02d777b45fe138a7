"""Around a project.

    templates.py    projects to start from, those in shipped/ and others; repositories.py gets them out of git
    documenting.py  the project's section of its README
    drawing.py      its graph as text, Mermaid or SVG; layout.py places the boxes
"""
